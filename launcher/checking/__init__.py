"""Whether the servers of the settings can be reached, what they are, what we may do there, and what is wrong.

every       which servers there are to look at; each look is bounded in time
finding     what a look found
reasons     what a client raised, as a sentence and what to do
postgres, kafka, rabbitmq, gateway    one look each; nothing is changed by it
"""
