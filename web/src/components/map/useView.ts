// Pan and zoom. Until somebody moves the picture it fits the window by itself; "fit" gives it back.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { fit, zoomAt, type Size, type View } from "../../domain/geometry";
import { bounds, type Layout, type Point } from "../../domain/layout";

export interface ViewControl {
  view: View;
  isFitted: boolean;
  zoom: (factor: number, about?: Point) => void;
  panBy: (x: number, y: number) => void;
  fit: () => void;
  whole: () => void;
}

export function useView(layout: Layout | null, ids: string[], size: Size, box: RefObject<HTMLElement | null>): ViewControl {
  const [own, setOwn] = useState<View | null>(null);
  const idKey = ids.join("\n");
  const fitted = useMemo(() => {
    const points = ids.flatMap((id) => layout?.nodes[id] ?? []);
    return fit(bounds(points), size);
  }, [layout, idKey, size]);
  const view = own ?? fitted;
  const latest = useRef(view);
  latest.current = view;

  const middle = (): Point => ({ x: size.width / 2, y: size.height / 2 });
  const zoom = (factor: number, about = middle()) => setOwn(zoomAt(latest.current, factor, about));

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const { left, top } = element.getBoundingClientRect();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const by = Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * (event.ctrlKey ? 0.008 : 0.0016));
      latest.current = zoomAt(latest.current, by, { x: event.clientX - left, y: event.clientY - top });
      setOwn(latest.current);
    };
    // Not passive: the page must not scroll or zoom along.
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, []);

  return {
    view,
    isFitted: own === null,
    zoom,
    panBy: (x, y) => setOwn({ ...latest.current, offsetX: latest.current.offsetX + x, offsetY: latest.current.offsetY + y }),
    fit: () => setOwn(null),
    whole: () => setOwn(zoomAt(latest.current, 1 / latest.current.scaleX, middle())),
  };
}
