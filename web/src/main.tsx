import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/map.css";
import "./styles/pages.css";
import { App } from "./app";
import { startClock } from "./state/clock";
import { startKeys } from "./state/keys";
import { startLocation } from "./state/location";
import { readSession } from "./state/session";
import { applyTheme } from "./state/theme";

applyTheme();
startLocation();
startClock();
startKeys();
const root = document.getElementById("app");
// First whether one must sign in: otherwise every page would ask in vain.
if (root) void readSession().then(() => render(<App />, root));
