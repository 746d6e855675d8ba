import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { complete, Mistake, parseFilter, type Known } from "../filter";

interface Props {
  value: string;
  known: Known[];
  onChange: (text: string) => void; // with a text that can be read
}

// FilterBox is a line of the query language with completion (an ARIA combobox).
export function FilterBox({ value, known, onChange }: Props): ReactNode {
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    setShown(value); // the address changed: somebody went back, or followed a link
    setText(value);
  }
  const [caret, setCaret] = useState(value.length);
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const place = useRef<number>(undefined);
  const id = useId();
  const found = useMemo(() => complete(text, caret, known), [text, caret, known]);
  const options = open ? found.options : [];
  const mistake = mistakeIn(text);

  useEffect(() => {
    if (place.current === undefined) return;
    input.current?.setSelectionRange(place.current, place.current);
    place.current = undefined;
  }, [text]);
  useEffect(() => {
    const focus = (e: globalThis.KeyboardEvent): void => {
      const typing = e.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
      if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey) {
        e.preventDefault();
        input.current?.focus();
      }
    };
    document.addEventListener("keydown", focus);
    return () => document.removeEventListener("keydown", focus);
  }, []);

  const apply = (next = text): void => {
    setOpen(false);
    if (!mistakeIn(next) && next.trim() !== value) onChange(next.trim());
  };
  const accept = (option: string): void => {
    const next = `${text.slice(0, found.from)}${option} ${text.slice(found.to).trimStart()}`;
    place.current = found.from + option.length + 1;
    setText(next);
    setCaret(place.current);
    setChosen(-1);
  };
  const key = (e: KeyboardEvent): void => {
    if (e.key === "Enter") {
      e.preventDefault();
      if (chosen >= 0 && options[chosen]) accept(options[chosen]);
      else apply();
    } else if (e.key === "Tab" && chosen >= 0 && options[chosen]) {
      e.preventDefault();
      accept(options[chosen]);
    } else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      if (!open) setOpen(true);
      else if (options.length) setChosen((c) => (c + (e.key === "ArrowDown" ? 1 : -1) + options.length) % options.length);
    } else if (e.key === "Escape") setOpen(false);
  };
  return (
    <div className="filterbox">
      <label htmlFor={id} className="hidden">
        Filter
      </label>
      <input
        id={id}
        ref={input}
        type="text"
        role="combobox"
        aria-expanded={options.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={chosen >= 0 && options[chosen] ? `${id}-${chosen}` : undefined}
        aria-invalid={mistake !== undefined}
        aria-describedby={mistake ? `${id}-mistake` : undefined}
        placeholder="Filter, such as status = FAILED and used.layers > 2    ( / )"
        autoComplete="off"
        spellCheck={false}
        dir="ltr"
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          setCaret(e.target.selectionStart ?? e.target.value.length);
          setOpen(true);
          setChosen(-1);
        }}
        onSelect={(e) => setCaret(e.currentTarget.selectionStart ?? 0)}
        onKeyDown={key}
        onBlur={() => apply()}
      />
      {text !== "" && (
        <button
          type="button"
          className="quiet clear"
          aria-label="Clear the filter"
          onClick={() => {
            setText("");
            apply("");
          }}
        >
          ×
        </button>
      )}
      <ul id={`${id}-list`} role="listbox" aria-label="Completions" hidden={options.length === 0}>
        {options.map((o, i) => (
          <li
            key={o}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === chosen}
            onMouseDown={(e) => {
              e.preventDefault();
              accept(o);
            }}
          >
            {o}
          </li>
        ))}
      </ul>
      {mistake && !open && (
        <p id={`${id}-mistake`} className="mistake" role="alert">
          {mistake.message} (at character {mistake.at + 1}){text === value && "; this filter is not applied"}
        </p>
      )}
    </div>
  );
}

function mistakeIn(text: string): Mistake | undefined {
  try {
    parseFilter(text);
  } catch (e) {
    if (e instanceof Mistake) return e;
    throw e;
  }
  return undefined;
}
