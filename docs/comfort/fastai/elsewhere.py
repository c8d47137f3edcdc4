import torch
from fastai.basics import *

train = torch.utils.data.TensorDataset(torch.ones(8, 2), torch.zeros(8, 1))
learn = Learner(DataLoaders.from_dsets(train, train, bs=2), nn.Linear(2, 1), loss_func=nn.MSELoss(), opt_func=SGD)
learn.fit(2)
