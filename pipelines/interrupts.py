"""How far an interrupt has come: the command line ends a process in which it was lost.

`KeyboardInterrupt` waits for the end of a call of C code, and some libraries swallow it.
"""

import threading

# Whether a training has weights that it keeps when it is interrupted at the end of its step.
WORTH_WAITING = threading.Event()
# Whether the interrupt has come to code that ends what it was doing.
NOTICED = threading.Event()
# Whether an interrupt was raised: a library may have made an error of its own of it.
RAISED = threading.Event()
