"""Random faults around the functions: failing calls, killed workers, duplicate messages.

Unlike the emulator's own faults, these are not aimed at a particular call: they are drawn from a
seed, and counted.
"""
