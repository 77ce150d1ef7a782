/** The front end's part of pyodide_mirror in JupyterLite: what is in use, and how to change it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, showErrorMessage } from "@jupyterlab/apputils";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator, nullTranslator, type TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";

import { Actions } from "./actions";
import { Kernels } from "./kernels";
import type { MirrorPanel } from "./panel";
import { configurePage, Preferences } from "./preferences";
import { StatusButton } from "./status";

configurePage();

/** What has a toolbar: notebooks, and consoles. */
interface IWithToolbar extends Widget {
  sessionContext?: unknown;
  toolbar?: Widget & { addItem: (name: string, widget: Widget) => boolean };
}

const NAME = "pyodide-mirror";

const plugin: JupyterFrontEndPlugin<void> = {
  id: `${NAME}:plugin`,
  description: "Shows the package mirrors of kernels, and lets users choose.",
  autoStart: true,
  optional: [ICommandPalette, IStatusBar, ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null,
    registry: ISettingRegistry | null,
    translator: ITranslator | null,
  ) => {
    const trans = (translator ?? nullTranslator).load("pyodide_mirror");
    const preferences = new Preferences();
    registry
      ? preferences
          .follow(registry, trans)
          .catch((error) => console.warn(`${NAME}: no settings:`, error))
      : undefined;
    const kernels = new Kernels(app, preferences, trans);
    const actions = new Actions(kernels, preferences, trans);
    const open = opener(app, kernels, actions, trans);
    const button = () => new StatusButton(kernels, trans, () => void open());
    if (statusBar) {
      const item = button();
      statusBar.registerStatusItem(`${NAME}:status`, { item, align: "right", rank: 20 });
    } else {
      addToToolbars(app, button);
    }
    addCommands(app, palette, trans, { open, actions });
  },
};

/** How the panel comes to be seen: at the side, or where an app has no side, in front of it. */
function opener(
  app: JupyterFrontEnd,
  kernels: Kernels,
  actions: Actions,
  trans: TranslationBundle,
): () => Promise<void> {
  let panel: MirrorPanel | null = null;
  return async () => {
    const { MirrorPanel } = await import("./panel");
    if (panel === null || panel.isDisposed) {
      panel = new MirrorPanel(kernels, actions, trans);
    }
    if (!panel.isAttached) {
      app.shell.add(panel, "right", { rank: 900 });
    }
    if (panel.parent) {
      app.shell.activateById(panel.id);
    } else {
      panel.showInFront();
    }
    panel.refresh();
  };
}

/**
 * Where there is no status bar, each notebook and console gets the button in its toolbar.
 *
 * The REPL has taken its toolbar away, or is about to: there it stands in a corner.
 */
function addToToolbars(app: JupyterFrontEnd, button: () => Widget): void {
  const done = new WeakSet<object>();
  const look = () => {
    for (const widget of app.shell.widgets("main")) {
      const { sessionContext, toolbar } = widget as IWithToolbar;
      if (!sessionContext || !toolbar || done.has(widget)) {
        continue;
      }
      done.add(widget);
      const corner = () => {
        if (!widget.isDisposed) {
          const item = button();
          item.addClass("pm-corner");
          Widget.attach(item, widget.node);
          widget.disposed.connect(() => item.dispose());
        }
      };
      if (toolbar.isDisposed) {
        corner();
      } else {
        toolbar.addItem(`${NAME}:status`, button());
        toolbar.disposed.connect(corner);
      }
    }
  };
  app.shell.currentChanged?.connect(look);
  void app.restored.then(look);
}

function addCommands(
  app: JupyterFrontEnd,
  palette: ICommandPalette | null,
  trans: TranslationBundle,
  { open, actions }: { open: () => Promise<void>; actions: Actions },
): void {
  const commands: [string, string, () => Promise<void>][] = [
    ["open", trans.__("Show the Package Mirrors"), open],
    ["probe", trans.__("Test all Package Mirrors"), () => open().then(() => actions.probe())],
    ["reset", trans.__("Go Back to the Site's Package Mirrors"), () => actions.resetMirrors()],
    ["copy-report", trans.__("Copy the Report on Package Mirrors"), () => actions.copyReport()],
    ["clear-cache", trans.__("Clear the Cache of Packages"), () => actions.clearCache()],
  ];
  const category = trans.__("Package Mirrors");
  for (const [name, label, act] of commands) {
    const command = `${NAME}:${name}`;
    const execute = () => act().catch((error) => showErrorMessage(label, error));
    app.commands.addCommand(command, { label, execute });
    palette?.addItem({ command, category });
  }
}

export default plugin;
