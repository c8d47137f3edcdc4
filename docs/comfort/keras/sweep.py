import csv

import keras
from clr_callback import CyclicLR
from run import digits, make_model

EPOCHS = 16

if __name__ == "__main__":
    x_train, x_test, y_train, y_test = digits()
    with open("sweep.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "seed", "accuracy"])
        for policy in ("triangular", "triangular2"):
            for seed in (1, 2, 3, 4, 5):
                keras.utils.set_random_seed(seed)
                model = make_model()
                clr = CyclicLR(base_lr=0.002, max_lr=0.03, step_size=90, mode=policy)
                model.fit(x_train, y_train, batch_size=32, epochs=EPOCHS, callbacks=[clr], verbose=0)
                _, accuracy = model.evaluate(x_test, y_test, verbose=0)
                writer.writerow([policy, seed, 100 * accuracy])
                file.flush()
