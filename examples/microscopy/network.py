"""A small network in numpy, trained by Adam on small batches, or by Gauss-Newton on all samples at once.

Gauss-Newton takes few steps but needs the Jacobian, a row a sample and a column a weight: more than there may be.
"""

import numpy as np


class Network:
    """Dense layers with tanh, and one probability at the end. The last row of each layer's weights is its bias."""

    def __init__(self, inputs: int, layers: int, units: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        widths = [inputs, *[units] * layers, 1]
        self.weights = [rng.normal(0, a**-0.5, (a + 1, b)) for a, b in zip(widths, widths[1:])]

    def forward(self, x: np.ndarray) -> list:
        """Return what each layer is given, with a column of ones, and the probabilities."""
        given = []
        for i, weights in enumerate(self.weights):
            given.append(np.hstack([x, np.ones((len(x), 1), x.dtype)]))
            x = given[-1] @ weights
            x = np.tanh(x) if i + 1 < len(self.weights) else 1 / (1 + np.exp(-x))
        return [*given, x]

    def backward(self, given: list):
        """Yield, from the last layer to the first, by how much the logit of each sample follows its outputs."""
        delta = np.ones((len(given[0]), 1))
        for i in reversed(range(len(self.weights))):
            yield i, delta
            delta = (delta @ self.weights[i][:-1].T) * (1 - given[i][:, :-1] ** 2)

    def adam(self, x: np.ndarray, y: np.ndarray, epochs: int, rate: float, batch: int, seed: int) -> None:
        """Train on small batches."""
        rng = np.random.default_rng(seed)
        first, second = ([np.zeros_like(w) for w in self.weights] for _ in range(2))
        steps = 0
        for _ in range(epochs):
            order = rng.permutation(len(x))
            for start in range(0, len(x), batch):
                part = order[start : start + batch]
                given = self.forward(x[part])
                wrong = (given[-1] - y[part, None]) / len(part)
                gradients = {i: given[i].T @ (delta * wrong) for i, delta in self.backward(given)}
                steps += 1
                for i, g in gradients.items():
                    first[i] = 0.9 * first[i] + 0.1 * g
                    second[i] = 0.999 * second[i] + 0.001 * g**2
                    step = first[i] / (1 - 0.9**steps) / (np.sqrt(second[i] / (1 - 0.999**steps)) + 1e-8)
                    self.weights[i] -= rate * step

    def gauss_newton(self, x: np.ndarray, y: np.ndarray, epochs: int, damping: float) -> None:
        """Train on all samples at once, by steps of Levenberg and Marquardt."""
        sizes = [w.size for w in self.weights]
        ends = np.cumsum([0, *sizes])
        for _ in range(epochs):
            given = self.forward(x)
            jacobian = np.empty((len(x), ends[-1]))
            for i, delta in self.backward(given):
                block = delta[:, None, :] * given[i][:, :, None]
                jacobian[:, ends[i] : ends[i + 1]] = block.reshape(len(x), -1)
            probability = given[-1][:, 0]
            curvature = probability * (1 - probability)
            step = solve(jacobian, curvature, jacobian.T @ (probability - y), damping * len(x))
            for i, weights in enumerate(self.weights):
                weights -= step[ends[i] : ends[i + 1]].reshape(weights.shape)

    def probability(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of each sample."""
        return self.forward(x)[-1][:, 0]


def solve(jacobian: np.ndarray, curvature: np.ndarray, target: np.ndarray, damping: float) -> np.ndarray:
    """Solve (J' C J + damping) step = target by conjugate gradients."""
    step, rest = np.zeros_like(target), target.copy()
    direction, size = rest.copy(), rest @ rest
    for _ in range(30):
        image = jacobian.T @ (curvature * (jacobian @ direction)) + damping * direction
        far = size / (direction @ image)
        step += far * direction
        rest -= far * image
        smaller = rest @ rest
        if smaller < 1e-10 * (target @ target):
            break
        direction, size = rest + smaller / size * direction, smaller
    return step
