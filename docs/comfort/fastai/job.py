import sys

from fastai.basics import *
from fastai.callback.schedule import ParamScheduler
from fastai.callback.tracker import SaveModelCallback
from run import learner, triangular
from policy import triangular2

EPOCHS = 16

if __name__ == "__main__":
    policy, seed = sys.argv[1], int(sys.argv[2])
    set_seed(seed, reproducible=True)
    learn = learner()
    learn.model_dir = f"models/{policy}-{seed}"
    saved = sorted(Path(learn.model_dir).glob("model_*.pth"), key=os.path.getmtime)
    if saved:
        learn.load(saved[-1].stem, with_opt=True)
    start = int(saved[-1].stem.split("_")[1]) + 1 if saved else 0
    save = SaveModelCallback(every_epoch=True, with_opt=True)
    schedule = {"triangular": triangular, "triangular2": triangular2}[policy](cycles=EPOCHS // 4)
    with learn.no_bar(), learn.no_logging():
        learn.fit(EPOCHS, start_epoch=start, cbs=[ParamScheduler({"lr": schedule}), save])
        accuracy = learn.validate()[1]
    Path("runs").mkdir(exist_ok=True)
    Path(f"runs/{policy}-{seed}.csv").write_text(f"policy,seed,accuracy\n{policy},{seed},{100 * accuracy}\n")
