import keras
from clr_callback import CyclicLR
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits():
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
    return train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)


def make_model():
    model = keras.Sequential([
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dense(10, activation="softmax"),
    ])
    optimizer = keras.optimizers.SGD(momentum=0.9, weight_decay=0.0005)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    x_train, x_test, y_train, y_test = digits()
    clr = CyclicLR(base_lr=0.002, max_lr=0.03, step_size=90, mode="triangular")
    model = make_model()
    model.fit(x_train, y_train, batch_size=32, epochs=16, validation_data=(x_test, y_test), callbacks=[clr], verbose=2)
    print(model.evaluate(x_test, y_test, return_dict=True, verbose=0))
