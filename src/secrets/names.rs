//! The names that seedkit gives to the secrets it makes: a spec cannot give them to others.

/// The private key of the registry's authority.
pub const AUTHORITY_KEY: &str = "ca.key";
/// The certificate of the registry's authority.
pub const AUTHORITY: &str = "ca.crt";
/// The registry's private key.
pub const SERVER_KEY: &str = "registry.key";
/// The registry's certificate.
pub const SERVER: &str = "registry.crt";
/// What servers join with.
pub const SERVER_TOKEN: &str = "server-token";
/// What agents join with.
pub const AGENT_TOKEN: &str = "agent-token";
/// What signs the tokens of service accounts.
pub const SERVICE_KEY: &str = "cluster-service.key";
/// The private key that opens the nodes, when the spec names none.
pub const SSH_KEY: &str = "id_ed25519";
/// Its public half.
pub const SSH_PUBLIC_KEY: &str = "id_ed25519.pub";
/// What is left of the console's password: a build needs no more than this.
pub const CONSOLE_HASH: &str = "console-password-hash";
/// What makes the digest of the registry's configuration, which everybody may read, tell nothing of its password.
pub const REGISTRY_SALT: &str = "registry-salt";
/// How the names begin of what nodes prove themselves with.
pub const NODE_PASSWORD: &str = "node-password-";
/// How the names begin of the cluster's authorities.
pub const CLUSTER: &str = "cluster-";

/// Returns whether seedkit keeps something of its own under this name.
pub fn is_own(name: &str) -> bool {
    let single = [
        AUTHORITY_KEY,
        AUTHORITY,
        SERVER_KEY,
        SERVER,
        SERVER_TOKEN,
        AGENT_TOKEN,
        SSH_KEY,
        SSH_PUBLIC_KEY,
        CONSOLE_HASH,
        REGISTRY_SALT,
    ];
    single.contains(&name) || [NODE_PASSWORD, CLUSTER].iter().any(|start| name.starts_with(start))
}
