import Dropdown from "@douyinfe/semi-ui-19/lib/es/dropdown";
import type { ReactElement, ReactNode } from "react";

interface Props { position: "topLeft" | "bottomRight"; items: ReactNode; showTick?: boolean; children: ReactElement }

// What a button opens. It comes and goes without motion: while Semi's list fades away, which takes long on a busy
// machine, it can still be clicked at, and the button that is to open it again does nothing.
export function Menu({ position, items, showTick, children }: Props) {
  return (
    <Dropdown trigger="click" position={position} clickToHide motion={false} showTick={showTick} render={<Dropdown.Menu>{items}</Dropdown.Menu>}>
      {children}
    </Dropdown>
  );
}

export const MenuItem = Dropdown.Item;
export const MenuTitle = Dropdown.Title;
export const MenuDivider = Dropdown.Divider;
