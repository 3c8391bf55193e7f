"""What goes wrong around the functions, all day: failing calls, dying workers, messages twice.

Nothing in here is aimed at a particular call, as the emulator's own faults are; it is drawn from a
seed, and counted.
"""
