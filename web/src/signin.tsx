import { useState, type FormEvent, type ReactNode } from "react";
import type { Failure } from "./api";
import { authorization, basic, forget, setAuthorization } from "./auth";

// SignIn says why the server did not let this page in, and what to do. With a token it is `mida ui`; with an auth
// extension a user and a password, or a token of that extension.
export function SignIn({ refusal }: { refusal: Failure }): ReactNode {
  const [token, setToken] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const tried = authorization() !== null;
  const enter = (value: string) => (e: FormEvent) => {
    e.preventDefault();
    setAuthorization(value);
    location.reload();
  };
  return (
    <main className="signin" id="main">
      <h1>{tried ? "The collector does not accept this page" : "Who is asking?"}</h1>
      {refusal.wantsToken ? (
        <>
          <p>{tried ? "The token is wrong: perhaps it belongs to an earlier or another collector." : "This page has no token yet."}</p>
          <p>Open it from a terminal, in the directory where the collector was started or below it:</p>
          <pre>mida ui</pre>
          <p>Or paste the token here. {refusal.message}</p>
          <form onSubmit={enter(`Bearer ${token.trim()}`)}>
            <label>
              Token
              <input type="password" autoComplete="off" value={token} onChange={(e) => setToken(e.target.value)} required />
            </label>
            <button type="submit">Open</button>
          </form>
        </>
      ) : (
        <>
          <p role={tried ? "alert" : undefined}>{refusal.message}</p>
          <p>This collector has an auth extension; enter what it knows you by.</p>
          <form onSubmit={enter(basic(user, password))}>
            <label>
              User
              <input autoComplete="username" value={user} onChange={(e) => setUser(e.target.value)} required />
            </label>
            <label>
              Password
              <input type="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} required />
            </label>
            <button type="submit">Sign in</button>
          </form>
          <form onSubmit={enter(`Bearer ${token.trim()}`)}>
            <label>
              Or a bearer token
              <input type="password" autoComplete="off" value={token} onChange={(e) => setToken(e.target.value)} required />
            </label>
            <button type="submit">Open</button>
          </form>
        </>
      )}
      {tried && (
        <button
          type="button"
          className="quiet"
          onClick={() => {
            forget();
            location.reload();
          }}
        >
          Forget what was tried
        </button>
      )}
    </main>
  );
}
