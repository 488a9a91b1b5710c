import "./mark.css";

// Our octopus. `waving` moves its arms: something is being made.
export function Mark({ size, waving = false }: { size: number; waving?: boolean }) {
  return (
    <svg className={waving ? "mark waving" : "mark"} viewBox="0 0 64 64" width={size} height={size} aria-hidden="true">
      <g className="arms">
        <path d="M20 37c0 8-3.6 11.5-8.3 11.5-3.8 0-6.2-2.8-5.2-6" />
        <path d="M28 40c0 10-2.5 16.5-8.5 16.5-2.6 0-4.3-1.3-4.8-3" />
        <path d="M36 40c0 10 2.5 16.5 8.5 16.5 2.6 0 4.3-1.3 4.8-3" />
        <path d="M44 37c0 8 3.6 11.5 8.3 11.5 3.8 0 6.2-2.8 5.2-6" />
      </g>
      <path d="M32 5C20.6 5 12.4 13 12.4 23.6c0 5.4 2 8.4 3.6 12C17.6 39.2 19 43 24 43h16c5 0 6.4-3.8 8-7.4 1.6-3.6 3.6-6.6 3.6-12C51.6 13 43.4 5 32 5Z" />
      <g className="eyes">
        <ellipse cx="25.5" cy="28" rx="3.1" ry="4.3" />
        <ellipse cx="38.5" cy="28" rx="3.1" ry="4.3" />
      </g>
    </svg>
  );
}
