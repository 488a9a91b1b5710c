// Every text of the page, in both languages.

const english = {
  ask: "Ask anything",
  send: "Send",
  stop: "Stop",
  signIn: "Sign in",
  signUp: "Sign up",
  signOut: "Sign out",
  email: "E-mail",
  password: "Password",
  setup: "Make the first account",
  setupHint: "It will be the admin of this site.",
  setupNeeded: "This site has no account yet. Open the link that the server printed when it started.",
  newChat: "New conversation",
  empty: "What would you like to know?",
  thinking: "Thinking",
  offline: "Connection lost. It goes on by itself.",
  cancelled: "Stopped.",
  incomplete: "This answer is not complete.",
  failed: "This answer failed.",
  running: "is being answered",
  model: "Model",
  conversations: "Conversations",
  untitled: "Untitled",
};

const chinese: typeof english = {
  ask: "想问什么都可以",
  send: "发送",
  stop: "停止",
  signIn: "登录",
  signUp: "注册",
  signOut: "退出",
  email: "邮箱",
  password: "密码",
  setup: "创建第一个账号",
  setupHint: "它将是本站的管理员。",
  setupNeeded: "本站还没有账号。请打开服务器启动时显示的链接。",
  newChat: "新对话",
  empty: "想了解些什么？",
  thinking: "思考过程",
  offline: "连接中断，恢复后会自动继续。",
  cancelled: "已停止。",
  incomplete: "这个回答不完整。",
  failed: "这个回答失败了。",
  running: "正在回答",
  model: "模型",
  conversations: "对话",
  untitled: "未命名",
};

export const language = navigator.language.startsWith("zh") ? "zh" : "en";
export const words = language === "zh" ? chinese : english;
