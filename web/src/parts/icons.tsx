// The page's pictures, drawn with one pen.

import type { ReactNode } from "react";

function icon(...shapes: ReactNode[]) {
  return function Icon() {
    return (
      <svg viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
        {shapes.map((shape, n) => <g key={n}>{shape}</g>)}
      </svg>
    );
  };
}
const line = (d: string) => <path d={d} />;

export const IconPlus = icon(line("M10 4v12M4 10h12"));
export const IconSearch = icon(<circle cx="9" cy="9" r="5.2" />, line("m13 13 3.5 3.5"));
export const IconClose = icon(line("m5 5 10 10M15 5 5 15"));
export const IconMenu = icon(line("M3.5 6h13M3.5 10h13M3.5 14h8"));
export const IconMore = icon(<g fill="currentColor" stroke="none"><circle cx="4.5" cy="10" r="1.4" /><circle cx="10" cy="10" r="1.4" /><circle cx="15.5" cy="10" r="1.4" /></g>);
export const IconSend = icon(line("M10 16V4.5M4.8 9.5 10 4.3l5.2 5.2"));
export const IconStop = icon(<rect x="5.5" y="5.5" width="9" height="9" rx="2" fill="currentColor" stroke="none" />);
export const IconCopy = icon(<rect x="7" y="7" width="9.5" height="9.5" rx="2" />, line("M13 7V5.5a2 2 0 0 0-2-2H5.5a2 2 0 0 0-2 2V11a2 2 0 0 0 2 2H7"));
export const IconTick = icon(line("m4 10.5 4 4 8-9"));
export const IconEdit = icon(line("M12.5 4.2 15.8 7.5 7.2 16.1l-4 .7.7-4ZM10.9 5.8l3.3 3.3"));
export const IconAgain = icon(line("M16 10a6 6 0 1 1-1.9-4.4M16 3v3.6h-3.6"));
export const IconGoOn = icon(line("m5 4.5 5.5 5.5L5 15.5M11 4.5l5.5 5.5-5.5 5.5"));
export const IconLeft = icon(line("M12 5 7 10l5 5"));
export const IconRight = icon(line("m8 5 5 5-5 5"));
export const IconUp = icon(line("m5 12 5-5 5 5"));
export const IconDown = icon(line("m5 8 5 5 5-5"));
export const IconToEnd = icon(line("M10 4v11.5M4.8 10.5 10 15.7l5.2-5.2"));
export const IconDelete = icon(line("M3.5 5.5h13M8 5.5V4a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.5M5.3 5.5l.7 10a1.5 1.5 0 0 0 1.5 1.4h5A1.5 1.5 0 0 0 14 15.5l.7-10M8.5 9v4.5M11.5 9v4.5"));
export const IconTitle = icon(line("M10 3.5 11.6 8l4.4 1.6-4.4 1.6L10 15.7l-1.6-4.5L4 9.6 8.4 8Z"), line("M16 13.5v3M14.5 15h3"));
export const IconAlert = icon(<circle cx="10" cy="10" r="7" />, line("M10 6.5v4.2M10 13.4v.1"));
export const IconCloud = icon(line("M3 3l14 14M6.5 15.5h7.8M16.6 14.2a3.2 3.2 0 0 0-1.9-5.4A4.8 4.8 0 0 0 8 6.2M5.7 8.2A3.7 3.7 0 0 0 6.5 15.5"));
export const IconOwner = icon(<circle cx="10" cy="10" r="2.4" />, line("M10 2.8v2M10 15.2v2M2.8 10h2M15.2 10h2M4.9 4.9l1.4 1.4M13.7 13.7l1.4 1.4M15.1 4.9l-1.4 1.4M6.3 13.7l-1.4 1.4"));
export const IconKey = icon(<circle cx="6.8" cy="13.2" r="3.3" />, line("m9.2 10.8 7-7M13.2 6.8l2.4 2.4"));
export const IconLeave = icon(line("M8 16.5H5a1.5 1.5 0 0 1-1.5-1.5V5A1.5 1.5 0 0 1 5 3.5h3M12.5 13.5 16 10l-3.5-3.5M16 10H8"));
export const IconEye = icon(line("M2.5 10S5.2 4.8 10 4.8 17.5 10 17.5 10 14.8 15.2 10 15.2 2.5 10 2.5 10Z"), <circle cx="10" cy="10" r="2.2" />);
export const IconEyeOff = icon(line("M3 3l14 14M8 5a7 7 0 0 1 2-.2c4.8 0 7.5 5.2 7.5 5.2a13 13 0 0 1-2 2.6M5.6 6.4A12 12 0 0 0 2.5 10s2.7 5.2 7.5 5.2a7 7 0 0 0 3.4-.9M8.5 8.5a2.2 2.2 0 0 0 3 3"));
