import pytorch_lightning as pl
from run import Digits, Net
from pytorch_lightning.tuner import Tuner

finder = Tuner(pl.Trainer()).lr_find(Net(), datamodule=Digits(), attr_name="base_lr")
print(finder.suggestion())
finder.plot(suggest=True).savefig("lr_find.png")
