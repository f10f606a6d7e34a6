import { useEffect, useRef, useState } from "preact/hooks";

/** A box that a button opens: a press outside of it, or Escape, closes it. */
export function usePopup() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const close = (event: Event) => {
      const inside = event.type === "pointerdown" && box.current?.contains(event.target as Node);
      if (!inside && (event.type === "pointerdown" || (event as KeyboardEvent).key === "Escape")) setOpen(false);
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, [open]);
  return { open, setOpen, box };
}
