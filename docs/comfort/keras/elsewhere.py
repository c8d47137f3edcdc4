import keras
import numpy as np

model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((8, 2)), np.zeros(8), batch_size=2, verbose=0)
