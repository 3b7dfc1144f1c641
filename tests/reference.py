"""Literal, dense definitions: slow, obviously right, and what every fast routine is held to."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize


def convolve(d, z, hop=1):
    """Equation (1), one term at a time."""
    K, T_d = d.shape
    x = np.zeros(hop * (z.shape[1] - 1) + T_d)
    for k in range(K):
        for n, value in enumerate(z[k]):
            x[hop * n : hop * n + T_d] += value * d[k]
    return x


def correlate_with_atoms(d, x, hop=1):
    K, T_d = d.shape
    N = (x.size - T_d) // hop + 1
    return np.array([[x[hop * n : hop * n + T_d] @ d[k] for n in range(N)] for k in range(K)])


def correlate_with_activations(z, x, hop=1):
    K, N = z.shape
    T_d = x.size - hop * (N - 1)
    return np.array([[z[k] @ x[s::hop][:N] for s in range(T_d)] for k in range(K)])


def positions(frame, T):
    """Positions ``τ`` whose window meets ``[0, T)``, by looking at each."""
    T_g, a = frame.window.size, frame.hop
    near = range(-(T_g + T) // a - 1, (T + T_g) // a + 2)
    return [tau for tau in near if a * tau - frame.origin < T and a * tau - frame.origin + T_g > 0]


def dictionary(frame, T, tau=None):
    """Every ``φ[τ, ν]`` restricted to ``[0, T)``, as an array (T, N, M) (eq. 3)."""
    tau = positions(frame, T) if tau is None else tau
    t, nu = np.arange(T), np.arange(frame.channels)
    Phi = np.zeros((T, len(tau), frame.channels), complex)
    for n, position in enumerate(tau):
        place = t - frame.hop * position
        inside = (place + frame.origin >= 0) & (place + frame.origin < frame.window.size)
        counted = place if frame.phase == "time-invariant" else t
        wave = np.exp(2j * np.pi * np.outer(counted[inside], nu) / frame.channels)
        Phi[inside, n] = frame.window[place[inside] + frame.origin][:, None] * wave
    return Phi


def analysis(frame, x):
    """Equation (3)."""
    return np.einsum("tnm,t->nm", dictionary(frame, x.size).conj(), x)


def synthesis(frame, alpha, T):
    """Equation (4)."""
    return np.einsum("tnm,nm->t", dictionary(frame, T), alpha)


def frame_bounds(frame, T):
    """Extreme eigenvalues of ``ΦΦ*``."""
    Phi = dictionary(frame, T).reshape(T, -1)
    values = np.linalg.eigvalsh(Phi @ Phi.conj().T)
    return max(values[0], 0.0), values[-1]


def atoms(W, frame):
    """``d_k = g · M · IDFT(W_k)``, read at the window's samples."""
    place = (np.arange(frame.window.size) - frame.origin) % frame.channels
    return frame.window * (frame.channels * np.fft.ifft(W, axis=0).T)[:, place]


def within_ball(b, c, q):
    """Minimise ``½ c‖w‖² - ⟨w, b⟩`` subject to ``Σ q w² ≤ 1``, by bisection on the multiplier."""

    def size(theta):
        return np.sum(q * (b / (c + theta * q)) ** 2)

    if size(0.0) <= 1:
        return b / c
    low, high = 0.0, 1.0
    while size(high) > 1:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) > 1 else (low, middle)
    return b / (c + high * q)


def semi_nmf_weights(A, W, Z, frame, penalty):
    """The atoms' step of the semi-NMF of ``A``: least squares, in the unit ball with a penalty."""
    gram = Z.T @ Z
    if not penalty:
        return A @ Z @ np.linalg.pinv(gram, rcond=1e-14, hermitian=True)
    M = frame.channels
    place = (np.arange(frame.window.size) - frame.origin) % M
    q = np.bincount(place, frame.window**2, minlength=M)
    w = M * np.fft.ifft(W, axis=0).real
    b = M * np.fft.ifft(A @ Z, axis=0).real
    for k in range(w.shape[1]):
        if gram[k, k] > 0:
            others = b[:, k] - w @ gram[:, k] + w[:, k] * gram[k, k]
            w[:, k] = within_ball(others, gram[k, k], q)
    return np.fft.fft(w, axis=0) / M


def multiplicative_update(A, W, Z, penalty):
    """Ding's multiplicative update for complex data: real parts, split by sign."""
    V, G = (A.conj().T @ W).real, (W.conj().T @ W).real
    up = np.maximum(V, 0) + Z @ np.maximum(-G, 0)
    down = np.maximum(-V, 0) + Z @ np.maximum(G, 0) + penalty
    return Z * np.sqrt(np.divide(up, down, out=np.ones_like(up), where=down > 0))


def coordinate_update(A, W, Z, penalty):
    """Of each component in turn, the minimiser of ``½‖A - W Zᵀ‖² + λ Σ Z`` with ``Z ≥ 0``."""
    Z = Z.copy()
    for k in range(Z.shape[1]):
        rest = A - W @ Z.T + np.outer(W[:, k], Z[:, k])
        energy = np.sum(np.abs(W[:, k]) ** 2)
        if energy > 0:
            Z[:, k] = np.maximum(0, ((W[:, k].conj() @ rest).real - penalty) / energy)
    return Z


def algorithm_1(
    x, frame, W, Z, iterations, inner=1, penalty=0.0, step=1.0, update=multiplicative_update
):
    """Algorithm 1 with its M × N coefficients formed; yields ``W (M, K), Z (N, K), α (M, N)``."""
    Phi = dictionary(frame, x.size)
    yield W, Z, W @ Z.T
    for _ in range(iterations):
        alpha = W @ Z.T
        residual = x - np.einsum("tnm,mn->t", Phi, alpha)
        half = alpha + step * np.einsum("tnm,t->mn", Phi.conj(), residual)
        for _ in range(inner):
            W = semi_nmf_weights(half, W, Z, frame, penalty)
            Z = update(half, W, Z, step * penalty)
        yield W, Z, W @ Z.T


def group_lasso(x, begins, length, penalty, steps=100_000, accuracy=1e-8):
    """Minimise ``½‖x - Σ S_n u_n‖² + λ Σ ‖u_n‖`` over all pieces, by restarted FISTA.

    What of a piece is outside of the signal is cut off. Returns the least value and a bound, from
    the residual scaled until no piece of it is too loud.
    """
    t = np.asarray(begins)[:, None] + np.arange(length)
    inside = (t >= 0) & (t < x.size)
    t = np.clip(t, 0, x.size - 1)

    def sizes(u):
        return np.linalg.norm(u, axis=1, keepdims=True)

    def pieces(r):
        return np.where(inside, r[t], 0.0)

    def residual(u):
        return x - np.bincount(t.ravel(), np.where(inside, u, 0.0).ravel(), x.size)

    L = np.bincount(t[inside]).max()
    u = ahead = np.zeros(t.shape)
    momentum = 1.0
    for step in range(steps):
        v = ahead + pieces(residual(ahead)) / L
        new = v * np.maximum(0, 1 - penalty / L / np.maximum(sizes(v), 1e-300))
        if np.sum((ahead - new) * (new - u)) > 0:
            momentum = 1.0
        momentum, last = (1 + np.sqrt(1 + 4 * momentum**2)) / 2, momentum
        ahead, u = new + (last - 1) / momentum * (new - u), new
        if step % 50 == 0:
            r = residual(u)
            value = 0.5 * r @ r + penalty * sizes(u).sum()
            theta = r * min(1.0, penalty / max(sizes(pieces(r)).max(), 1e-300))
            bound = theta @ x - 0.5 * theta @ theta
            if value - bound <= accuracy * value:
                break
    return value, bound


def nuclear_pieces(x, length, penalty, steps=1000):
    """Minimise ``½‖x - Σ S_n u_n‖² + λ‖[u_0 …]‖_*`` by FISTA: pieces, least value and a bound.

    The bound is that of the residual, scaled until the matrix of its segments has norm ``λ``.
    """
    view = np.lib.stride_tricks.sliding_window_view
    A = ahead = np.zeros((length, x.size - length + 1))
    places = np.add.outer(*map(np.arange, A.shape)).ravel()

    def residual(A):
        return x - np.bincount(places, A.ravel())

    for step in range(steps):
        V = ahead + view(residual(ahead), length).T / length
        left, s, right = np.linalg.svd(V, full_matrices=False)
        new = (left * np.maximum(s - penalty / length, 0)) @ right
        ahead, A = new + step / (step + 3) * (new - A), new
    r = residual(A)
    theta = r * min(1.0, penalty / max(np.linalg.norm(view(r, length), 2), 1e-300))
    value = 0.5 * r @ r + penalty * np.linalg.norm(A, "nuc")
    return A, value, theta @ x - 0.5 * theta @ theta


def least(objective, n, z=None):
    """The minimum over numbers that are not negative, by SciPy."""
    start = np.ones(n) if z is None else z
    options = {"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(
        objective, start, jac=True, bounds=[(0, None)] * n, method="L-BFGS-B", options=options
    )
    return float(found.fun)
