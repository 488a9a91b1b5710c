// The few things of a browser that modules ask for when they are imported.
globalThis.location ??= new URL("http://tako.test/") as unknown as Location;
