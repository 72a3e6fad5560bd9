from trigger_engine.match.index import Index
from trigger_engine.match.placing import Place

__all__ = ["Index", "Place"]
