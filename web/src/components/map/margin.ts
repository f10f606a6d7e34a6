/** So far the picture is drawn beyond the window, so that it can be moved before it is drawn anew. */
export const MARGIN = 140;
