from fastai.basics import *
from fastai.callback.schedule import *
from run import learner

set_seed(1, reproducible=True)
print(learner().lr_find(suggest_funcs=(minimum, steep, valley, slide)))
plt.savefig("lr_find.png")
