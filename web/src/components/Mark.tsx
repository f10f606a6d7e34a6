// The drop beside the name.
export const Mark = () => (
  <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true" fill="none" stroke="var(--ink)">
    <path d="M9 1.500C6 5.500 3.600 8 3.600 11.200a5.400 5.400 0 0 0 10.800 0C14.400 8 12 5.500 9 1.500z" stroke-width="1.6" />
    <path d="M6.400 11.400a2.700 2.700 0 0 0 2.600 2.600" stroke-width="1.4" />
  </svg>
);
