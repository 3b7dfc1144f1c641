// From a file or a microphone to the bytes of a WAV file, which Python reads.
export const RATE = 44_100;
export const RECORDED = 22_050;

const text = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

export const isWav = (bytes) => ["RIFF", "RF64"].includes(text(bytes, 0, 4)) && text(bytes, 8, 12) === "WAVE";

// A FLAC file tells its rate in the 20 bits after its first 18 bytes.
export function ownRate(bytes) {
  if (text(bytes, 0, 4) !== "fLaC") return null;
  return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
}

// Let the browser decode a sound, at a rate of our choosing.
export async function decoded(bytes, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  const sound = await context.decodeAudioData(bytes.slice().buffer);
  return Array.from({ length: sound.numberOfChannels }, (_, n) => sound.getChannelData(n));
}

// Channels of 32-bit floats as a WAV file.
export function wav(channels, rate) {
  const [count, length] = [channels.length, channels[0].length];
  const size = 4 * count * length;
  const view = new DataView(new ArrayBuffer(44 + size));
  const put = (at, letters) => [...letters].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  put(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true); // floats
  view.setUint16(22, count, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * count * rate, true);
  view.setUint16(32, 4 * count, true);
  view.setUint16(34, 32, true);
  put(36, "data");
  view.setUint32(40, size, true);
  const samples = new Float32Array(view.buffer, 44);
  channels.forEach((channel, c) => channel.forEach((value, t) => (samples[count * t + c] = value)));
  return new Uint8Array(view.buffer);
}

const REFUSED = {
  NotAllowedError: "The microphone was refused: allow it for this page in the browser's settings, or choose a file.",
  NotFoundError: "There is no microphone: connect one, or choose a file.",
};

// Open the microphone as it is, without what makes speech clearer; resolve to its recorder.
export async function microphone() {
  if (!navigator.mediaDevices) throw new Error("A page may use the microphone only at an https address: choose a file.");
  const asIs = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return new MediaRecorder(await navigator.mediaDevices.getUserMedia({ audio: asIs }), { audioBitsPerSecond: 256_000 });
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? `The microphone cannot be used (${error.message}): choose a file.`);
  }
}

// What a recorder hears until it is stopped.
export function recorded(recorder) {
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  return new Promise((resolve) => {
    recorder.onstop = () => {
      for (const track of recorder.stream.getTracks()) track.stop();
      resolve(new File(parts, "the recording"));
    };
  });
}
