import Input from "@douyinfe/semi-ui-19/lib/es/input";
import { type ComponentProps, useId, useState } from "react";
import { useWords } from "../words";
import { Act } from "./Act";
import { IconEye, IconEyeOff } from "./icons";
import "./field.css";

type Props = Omit<ComponentProps<typeof Input>, "id"> & { label: string; hint?: string };

// A line to write in, with its label above and a word of help below.
export function Field({ label, hint, type, ...rest }: Props) {
  const id = useId();
  const words = useWords();
  const [visible, setVisible] = useState(false);
  const eye = type === "password" && (
    <Act className="eye" label={words.showPassword} aria-pressed={visible} onClick={() => setVisible(!visible)}>
      {visible ? <IconEyeOff /> : <IconEye />}
    </Act>
  );
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <Input
        {...rest}
        id={id}
        size="large"
        type={visible ? "text" : type}
        suffix={eye || rest.suffix}
        aria-describedby={hint ? `${id}-hint` : undefined}
      />
      {hint && <p className="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}
