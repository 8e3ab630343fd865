"""The pure core that decides: plans, state, events, actions and the machine.

State + Event ──▶ machine.decide ──▶ State + Actions        (no clock, no I/O, no logging)
                   │ passes      what becomes of a pass
                   │ desired     routing and sizes that a state asks for
                   └ invariants  what must always hold
"""
