import type { AnchorHTMLAttributes, MouseEvent, ReactNode } from "react";
import { go, hrefOf, usePlace, type Params } from "../router";

interface Props extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> {
  to: string;
  params?: Params;
  children: ReactNode;
}

// Link leads to another view; a new tab and the like are the browser's.
export function Link({ to, params, children, ...rest }: Props): ReactNode {
  const campaign = usePlace().params.get("campaign") ?? "";
  const href = hrefOf(to, params ?? (to.startsWith("/task/") ? { campaign } : {}));
  const follow = (e: MouseEvent): void => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || e.button !== 0) return;
    e.preventDefault();
    go(href);
    window.scrollTo(0, 0);
  };
  return (
    <a {...rest} href={href} onClick={follow}>
      {children}
    </a>
  );
}
