"""The pure core that decides: plans, state, events, actions and the machine.

State + Event ──▶ machine.decide ──▶ State + Actions        (no clock, no I/O, no logging)
                   │ handlers    what each event means in each mode
                   │ starts, steps, endings   the life of a pass; weights and clocks in it
                   │ desired     routing and sizes that a state asks for
                   └ invariants  what must always hold
"""
