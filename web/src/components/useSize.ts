// The size of an element, followed as it changes.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import type { Size } from "../domain/geometry";

export function useSize<T extends Element>(): [RefObject<T | null>, Size] {
  const box = useRef<T>(null);
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      const { width, height } = element.getBoundingClientRect();
      setSize((before) => (before.width === width && before.height === height ? before : { width, height }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [box, size];
}

export function useWidth<T extends Element>(): [RefObject<T | null>, number] {
  const [box, size] = useSize<T>();
  return [box, size.width];
}
