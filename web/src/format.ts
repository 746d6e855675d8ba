// How numbers, times and sizes read.

export function count(n: number): string {
  return n.toLocaleString("en");
}

export function plural(n: number, what: string): string {
  return `${count(n)} ${what}${n === 1 ? "" : "s"}`;
}

export function duration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 1e-3 && seconds > 0) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function bytes(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  while (Math.abs(n) >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0)} ${units[i]}`;
}

const two = (n: number): string => String(n).padStart(2, "0");

export function when(seconds: number | undefined): string {
  if (seconds === undefined) return "–";
  const d = new Date(seconds * 1000);
  if (Number.isNaN(d.getTime())) return "–";
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(seconds)}`;
}

export function clock(seconds: number, fine = false): string {
  const d = new Date(seconds * 1000);
  const base = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return fine ? `${base}.${String(d.getMilliseconds()).padStart(3, "0")}` : base;
}

export function ago(seconds: number, now = Date.now() / 1000): string {
  const d = now - seconds;
  if (d < 5) return "just now";
  if (d < 60) return `${Math.floor(d)} s ago`;
  if (d < 3600) return `${Math.floor(d / 60)} min ago`;
  if (d < 86400) return `${Math.floor(d / 3600)} h ago`;
  return `${Math.floor(d / 86400)} d ago`;
}

// metric shows a telemetry value by the unit that its name has in OpenTelemetry.
export function metric(name: string, v: number): string {
  if (/\.(usage|high_water|io\.(read|write|receive|transmit))$/.test(name)) return bytes(v);
  if (/cpu\.time$/.test(name)) return duration(v);
  if (/utilization$/.test(name)) return `${(v * 100).toFixed(1)} %`;
  if (/energy$/.test(name)) return `${v.toPrecision(4)} J`;
  return Number.isInteger(v) ? count(v) : v.toPrecision(5);
}
