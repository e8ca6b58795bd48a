//! Somebody's browser: it keeps cookies, follows redirects, and sends the form of the page that it shows.

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method};
use url::Url;

use crate::support::world::{Service, World};

/// What browsers reach the service at; nothing of that name is on this machine.
pub const PUBLIC: &str = "http://backup.example.com/";

pub struct Browser {
    http: Client,
    /// Where the service really is.
    service: Url,
    port: u16,
    pub cookie: Option<String>,
    /// The cookie as it was set, with what browsers may do with it.
    pub set_cookie: String,
    pub at: Url,
    pub status: u16,
    pub headers: HeaderMap,
    html: String,
}

impl Browser {
    pub fn new(world: &World, service: &Service) -> Self {
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self {
            http,
            service: service.url("/"),
            port: world.github.url().port().unwrap(),
            cookie: None,
            set_cookie: String::new(),
            at: PUBLIC.parse().unwrap(),
            status: 0,
            headers: HeaderMap::new(),
            html: String::new(),
        }
    }

    /// One that has shown a fresh code.
    pub async fn let_in(world: &World, service: &Service) -> Self {
        let mut browser = Self::new(world, service);
        let door = world.ok(&["apps", "create"]).await;
        browser.open(door["url"].as_str().unwrap()).await;
        browser.submit(&[("code", door["code"].as_str().unwrap())]).await;
        browser
    }

    pub async fn open(&mut self, link: &str) {
        let url = self.at.join(link).unwrap();
        self.go(Method::GET, url, String::new()).await;
    }

    /// Follows the first link that is told like this.
    pub async fn click(&mut self, text: &str) {
        let (before, _) = self.html.split_once(&format!(">{text}</a>")).unwrap_or_else(|| panic!("{}", self.html));
        let link = unescaped(quoted(&before[before.rfind("<a ").unwrap()..], "href"));
        self.open(&link).await;
    }

    /// Fills the page's form in and sends it.
    pub async fn submit(&mut self, fields: &[(&str, &str)]) {
        let form = self.html.split_once("<form ").unwrap_or_else(|| panic!("no form: {}", self.html)).1.to_owned();
        self.send(&form, fields).await;
    }

    /// The same with the last of the page's forms.
    pub async fn submit_last(&mut self, fields: &[(&str, &str)]) {
        let form = self.html.rsplit_once("<form ").unwrap_or_else(|| panic!("no form: {}", self.html)).1.to_owned();
        self.send(&form, fields).await;
    }

    async fn send(&mut self, form: &str, fields: &[(&str, &str)]) {
        let form = form.split("</form>").next().unwrap();
        let action = self.at.join(&unescaped(quoted(form, "action"))).unwrap();
        let hidden = form.split("<input type=\"hidden\"").skip(1);
        let hidden = hidden.map(|input| (unescaped(quoted(input, "name")), unescaped(quoted(input, "value"))));
        let given = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(hidden.chain(given)).finish();
        self.go(Method::POST, action, body).await;
    }

    async fn go(&mut self, mut method: Method, mut url: Url, mut body: String) {
        loop {
            let mut real = url.clone();
            let ours = url.host_str() == Some("backup.example.com") || url.origin() == self.service.origin();
            if ours {
                real.set_scheme("http").unwrap();
                real.set_host(self.service.host_str()).unwrap();
                real.set_port(self.service.port()).unwrap();
            }
            let mut request = self.http.request(method, real);
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            if let Some(cookie) = self.cookie.as_ref().filter(|_| ours) {
                request = request.header(COOKIE, cookie);
            }
            let answer = request.send().await.unwrap();
            if let Some(set) = answer.headers().get(SET_COOKIE).filter(|_| ours) {
                set.to_str().unwrap().clone_into(&mut self.set_cookie);
                self.cookie = self.set_cookie.split(';').next().map(str::to_owned);
            }
            let target = answer.headers().get(LOCATION).map(|target| url.join(target.to_str().unwrap()).unwrap());
            self.status = answer.status().as_u16();
            self.headers = answer.headers().clone();
            self.html = answer.text().await.unwrap();
            self.at = url;
            let Some(target) = target else { return };
            (method, url, body) = (Method::GET, target, String::new());
        }
    }

    /// Where the page's form is sent.
    pub fn action(&self) -> String {
        let form = self.html.split_once("<form ").unwrap_or_else(|| panic!("no form: {}", self.html)).1;
        self.at.join(&unescaped(quoted(form, "action"))).unwrap().into()
    }

    /// What a person reads.
    pub fn text(&self) -> String {
        let body = self.html.split_once("<body>").unwrap_or_else(|| panic!("no page: {}", self.html)).1;
        let mut text = String::new();
        let mut inside = false;
        for c in body.chars() {
            match c {
                '<' => inside = true,
                '>' if inside => inside = false,
                c if !inside => text.push(c),
                _ => (),
            }
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let text = lines.collect::<Vec<_>>().join("\n");
        format!("{} {}\n{}", self.status, self.at.path(), unescaped(&text)).replace(&format!(":{}", self.port), ":PORT")
    }
}

fn quoted<'a>(text: &'a str, attribute: &str) -> &'a str {
    let rest = text.split_once(&format!("{attribute}=\"")).unwrap_or_else(|| panic!("no {attribute} in {text}")).1;
    rest.split('"').next().unwrap()
}

/// The five characters that templates write otherwise.
fn unescaped(text: &str) -> String {
    let written = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    written.iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}
