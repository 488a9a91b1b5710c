import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Modal from "@douyinfe/semi-ui-19/lib/es/modal";
import { useWords } from "../words";

interface Props { title: string; text: string; act: string; onAct: () => void; close: () => void }

// Asks once more before what cannot be undone.
export function Confirm({ title, text, act, onAct, close }: Props) {
  const words = useWords();
  const footer = (
    <>
      <Button type="tertiary" onClick={close}>{words.cancel}</Button>
      <Button
        theme="solid"
        type="danger"
        onClick={() => {
          close();
          onAct();
        }}
      >
        {act}
      </Button>
    </>
  );
  return <Modal visible centered title={title} footer={footer} onCancel={close}>{text}</Modal>;
}
