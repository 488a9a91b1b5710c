import { Copy } from "../parts/Copy";
import { useWords } from "../words";

export function OneTimeLink({ link }: { link: string }) {
  const words = useWords();
  return (
    <div className="one-time">
      <p>{words.owner.linkOnce}</p>
      <div className="link-box"><code>{link}</code><Copy text={link} label={words.owner.copyLink} /></div>
    </div>
  );
}
