from trigger_engine.match.index import Index

__all__ = ["Index"]
