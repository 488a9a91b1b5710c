import { useWords } from "../words";

// Shapes of what is to come, while it is being read.
export function MessagesSkeleton() {
  const words = useWords();
  return (
    <div className="messages skeletons" aria-busy="true">
      <p className="visually-hidden" role="status">{words.loading}</p>
      <i className="bone asked" />
      <i className="bone" /><i className="bone" /><i className="bone short" />
      <i className="bone asked" />
      <i className="bone" /><i className="bone short" />
    </div>
  );
}

export function ListSkeleton() {
  const words = useWords();
  return (
    <div className="list-skeleton" aria-busy="true">
      <p className="visually-hidden" role="status">{words.loading}</p>
      {[72, 54, 88, 63, 80].map((width) => <i key={width} className="bone" data-width={width} />)}
    </div>
  );
}
