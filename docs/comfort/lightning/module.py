import pytorch_lightning as pl
import torch


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch):
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


trainer = pl.Trainer(max_steps=3, logger=False, enable_checkpointing=False)
trainer.fit(Net(), torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2))
