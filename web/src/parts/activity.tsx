import type { ReactNode } from "react";

export function Activity(_: { campaign: string }): ReactNode {
  return null;
}
