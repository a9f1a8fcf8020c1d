"""What every test gets: one thread, a cache of its own, and no way to any network but loopback.

Set before anything is imported, for these variables are read at import. Two test processes with two spinning OpenMP
threads each are forty times slower on two cores than one thread each.
"""

import os
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="quintet-tests-")
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nothing answers
os.environ.pop("HF_TOKEN", None)
