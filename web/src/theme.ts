import { useSyncExternalStore } from "react";

// Dark and light follow the system until somebody chooses.

export type Theme = "light" | "dark";
const KEY = "mida.theme";
const media = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function theme(): Theme {
  const chosen = localStorage.getItem(KEY);
  return chosen === "light" || chosen === "dark" ? chosen : media.matches ? "dark" : "light";
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme();
}

export function toggleTheme(): void {
  localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
  applyTheme();
  for (const l of listeners) l();
}

export function useTheme(): Theme {
  return useSyncExternalStore((l) => {
    const changed = (): void => {
      applyTheme();
      l();
    };
    listeners.add(l);
    media.addEventListener("change", changed);
    return () => {
      listeners.delete(l);
      media.removeEventListener("change", changed);
    };
  }, theme);
}

// color reads a colour of the style sheet, for what is drawn on a canvas.
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
