"""``python -m quintet.finetune …`` is ``quintet finetune …``, also for ``torchrun -m`` and ``accelerate launch -m``."""

from ..cli import finetune_main

if __name__ == "__main__":
    finetune_main()
