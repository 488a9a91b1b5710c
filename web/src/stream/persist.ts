import { ApiError } from "../api/client";
import { growing } from "./connection";
import { browser, type Network } from "./network";

// Does `work` again until the server has taken it. Throws `ApiError` for what trying again would not mend.
export async function untilTaken(work: () => Promise<unknown>, signal: AbortSignal, network: Network = browser): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status > 0 && error.status < 500)) throw error;
    }
    await network.pause(growing(failures++), signal);
  }
}
