"""Sound for vad.yaml: stretches of synthetic speech in noise, since no recording may be shipped, and where they are.

A buzz, as of vocal cords, goes through the three resonances of a vowel, with hisses between the syllables.
"""

from pathlib import Path

import numpy as np
from scipy.signal import lfilter

MODEL = Path(__file__).parent.parent / "pretrained" / "silero-vad" / "silero_vad_op18_ifless.onnx"
RATE, CHUNK, CONTEXT = 16000, 512, 64
CLIPS, SECONDS = 3, 20
VOWELS = np.array([[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410]])
"""Three resonances in Hz for a, i, u, e, o, by Peterson and Barney (1952)."""

WIDTHS = (80, 100, 140)


def chunks() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Chunks, each with the end of the one before, and the state that the model has come to; whether one speaks there.

    A row is a step of a stream: the state is of shape (2, rows, 128), as the model takes it.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 3
    model = onnxruntime.InferenceSession(MODEL, settings, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs, states, labels = [], [], []
    for _ in range(CLIPS):
        samples, speaking = sound(SECONDS, rng)
        state = np.zeros((2, 1, 128), np.float32)
        for end in range(CONTEXT + CHUNK, len(samples), CHUNK):
            inputs.append(samples[None, end - CONTEXT - CHUNK : end])
            states.append(state)
            labels.append(speaking[end - CHUNK : end].mean() > 0.5)
            _, state = model.run(["output", "stateN"], {"input": inputs[-1], "state": state, "sr": np.array(RATE)})
    return {"input": np.concatenate(inputs), "state": np.concatenate(states, 1)}, np.array(labels)


def heard(outputs: tuple[np.ndarray, ...], labels: np.ndarray) -> np.ndarray:
    """1 for each chunk in which speech is heard where there is some, or not where there is none, else 0."""
    return (outputs[0][:, 0] > 0.5) == labels


def sound(seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Samples from -1 to 1, and for each whether somebody speaks."""
    samples, speaking = [], []
    voice = float(rng.uniform(95, 220))
    while sum(map(len, samples)) < seconds * RATE:
        pause, spoken = np.zeros(int(rng.uniform(0.6, 1.5) * RATE)), phrase(int(rng.integers(3, 9)), voice, rng)
        samples += [pause, spoken]
        speaking += [np.zeros(len(pause), bool), np.ones(len(spoken), bool)]
    count = int(seconds * RATE)
    clean = np.concatenate(samples)[:count]
    return (clean + rng.normal(0, 0.003, count)).astype(np.float32), np.concatenate(speaking)[:count]


def phrase(syllables: int, voice: float, rng: np.random.Generator) -> np.ndarray:
    """Syllables one after the other, the pitch falling."""
    parts = []
    for place in range(syllables):
        parts.append(hiss(int(rng.uniform(0.03, 0.08) * RATE), rng))
        pitch = voice * (1.1 - 0.25 * place / syllables) * rng.uniform(0.95, 1.05)
        parts.append(vowel(int(rng.uniform(0.12, 0.22) * RATE), pitch, VOWELS[rng.integers(len(VOWELS))], rng))
    return np.concatenate(parts)


def hiss(count: int, rng: np.random.Generator) -> np.ndarray:
    """The noise of a consonant, its low part taken out."""
    return 0.05 * np.hanning(count) * lfilter([1, -0.9], [1], rng.normal(0, 1, count))


def vowel(count: int, pitch: float, resonances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A voiced sound, its loudness rising and falling."""
    time = np.arange(count) / RATE
    phase = np.cumsum(pitch * (1 + 0.02 * np.sin(2 * np.pi * 5 * time))) / RATE
    buzz = (np.diff(np.floor(phase), prepend=0) > 0) + 0.01 * rng.normal(0, 1, count)
    made = lfilter([1], [1, -0.95], buzz)
    for resonance, width in zip(resonances, WIDTHS, strict=True):
        radius = np.exp(-np.pi * width / RATE)
        made = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * resonance / RATE), radius**2], made)
    shape = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.02 * RATE))
    return 0.3 * shape * made / np.abs(made).max()
