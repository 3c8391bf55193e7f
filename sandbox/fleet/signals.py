"""Signals, taken where a process waits for them.

A handler may run in the middle of anything the main thread does, a lock it holds included. So the
signals are blocked in every thread, and the main thread asks for them.
"""

import signal

AWAITED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def block() -> None:
    """Hold back the signals of this process; call it before the first thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)


def await_signal(seconds: float) -> signal.Signals | None:
    """The next signal, None if there was none in that time."""
    received = signal.sigtimedwait(AWAITED, max(0.0, seconds))
    # After SIGSTOP and SIGCONT CPython returns a number that is no signal's.
    known = received is not None and received.si_signo in AWAITED
    return signal.Signals(received.si_signo) if received and known else None


def await_end() -> None:
    """Return when the process is asked to end."""
    while signal.sigwait(AWAITED) != signal.SIGTERM:
        pass
