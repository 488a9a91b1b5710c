import type { MouseEvent, ReactNode, Ref } from "react";

interface Props {
  "aria-pressed"?: boolean;
  "aria-expanded"?: boolean;
  label: string;
  onClick?: (event: MouseEvent<HTMLButtonElement>) => void;
  disabled?: boolean;
  children: ReactNode;
  ref?: Ref<HTMLButtonElement>;
  className?: string;
}

// A quiet button with a picture. Its tip is the browser's own: there are thousands of them.
export function Act({ label, onClick, disabled, children, ref, className, ...rest }: Props) {
  return (
    <button {...rest} ref={ref} type="button" className={className ? `act ${className}` : "act"} aria-label={label} title={label} disabled={disabled} onClick={onClick}>
      {children}
    </button>
  );
}
