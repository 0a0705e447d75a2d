from tests.queue.conftest import _fresh_process_state, bell, script

__all__ = ["_fresh_process_state", "bell", "script"]
