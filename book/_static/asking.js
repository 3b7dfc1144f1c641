// The page's side of a worker: it is started by the first question, and answers each by its number.
export function asking(start, broken, hear = () => {}) {
  let worker;
  let asks = 0;
  const waiting = new Map();

  function settle({ id, answer, error }) {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  // The next question starts another one.
  function giveUp(error) {
    worker?.terminate();
    worker = undefined;
    for (const id of waiting.keys()) settle({ id, error });
  }

  function ask(name, ...values) {
    if (!worker) {
      worker = start();
      worker.onmessage = ({ data }) => (data.id ? settle(data) : hear(data));
      worker.onerror = () => giveUp(broken);
    }
    return new Promise((resolve, reject) => {
      const id = (asks += 1);
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, name, values });
    });
  }

  return { ask, giveUp };
}
