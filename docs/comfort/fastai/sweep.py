import csv

from fastai.basics import *
from fastai.callback.schedule import ParamScheduler
from run import learner, triangular
from policy import triangular2

EPOCHS = 16

if __name__ == "__main__":
    with open("sweep.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "seed", "accuracy"])
        for policy in (triangular, triangular2):
            for seed in (1, 2, 3, 4, 5):
                set_seed(seed, reproducible=True)
                learn = learner()
                with learn.no_bar(), learn.no_logging():
                    learn.fit(EPOCHS, cbs=ParamScheduler({"lr": policy(cycles=EPOCHS // 4)}))
                    writer.writerow([policy.__name__, seed, 100 * learn.validate()[1]])
                file.flush()
