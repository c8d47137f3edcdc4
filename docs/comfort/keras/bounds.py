import keras
import matplotlib.pyplot as plt
from run import digits, make_model

LOW, HIGH, EPOCHS = 0.0, 0.3, 8


class Ramp(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.step, self.rates, self.accuracies = 0, [], []
        self.steps = self.params["steps"] * EPOCHS

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = LOW + (HIGH - LOW) * self.step / self.steps

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % 18 == 0:
            self.rates.append(float(self.model.optimizer.learning_rate))
            self.accuracies.append(self.model.evaluate(x_test, y_test, verbose=0)[1])


keras.utils.set_random_seed(1)
x_train, x_test, y_train, y_test = digits()
ramp = Ramp()
make_model().fit(x_train, y_train, batch_size=32, epochs=EPOCHS, callbacks=[ramp], verbose=0)
plt.plot(ramp.rates, ramp.accuracies)
plt.savefig("ramp.png")
