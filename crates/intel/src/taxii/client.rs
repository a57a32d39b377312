//! The client's steps: one question after the other, each answer checked before it leads to the next.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use url::Url;

use super::answers::{self, Collections, Discovery, Root};
use super::{Ask, Client, Collection, Config, Error, From, Harvest, MEDIA_TYPE, Page};
use crate::http::{Exchange, Request, Response, Step, redirect};
use crate::stix;

impl Client {
    /// A fetch of what the configuration says.
    pub fn new(config: Config) -> Client {
        let first = match config.from.clone() {
            From::Discovery(url) => Ask::Discovery(folder(url)),
            From::ApiRoot(url) => Ask::Root(folder(url)),
            From::Collection(url) => Ask::Collection(folder(url)),
        };
        let harvest = Harvest { cursor: config.cursor.clone(), ..Harvest::default() };
        let queue = VecDeque::from([first]);
        Client { config, queue, asked: None, redirects: 0, requests: 0, bytes: 0, roots: 0, harvest }
    }

    /// The configured server.
    fn home(&self) -> &Url {
        match &self.config.from {
            From::Discovery(url) | From::ApiRoot(url) | From::Collection(url) => url,
        }
    }

    /// The next request of the queue.
    fn next(&mut self) -> Result<Step<Harvest>, Error> {
        let Some(ask) = self.queue.pop_front() else {
            return Ok(Step::Done(std::mem::take(&mut self.harvest)));
        };
        let url = match &ask {
            Ask::Discovery(url) | Ask::Root(url) | Ask::Collections(url) | Ask::Collection(url) => url.clone(),
            Ask::Page(page) => page.url(self.config.page),
        };
        self.redirects = 0;
        self.send(ask, url)
    }

    fn send(&mut self, ask: Ask, url: Url) -> Result<Step<Harvest>, Error> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Url { url: url.to_string() });
        }
        self.requests += 1;
        let most = self.config.bounds.requests;
        if self.requests > most {
            return Err(Error::TooMuch { url: url.to_string(), what: "requests", most });
        }
        let mut request = Request::get(url).with("Accept", MEDIA_TYPE);
        // Never to another server than the configured one.
        if request.url.origin() == self.home().origin()
            && let Some(auth) = self.config.auth.header()
        {
            request = request.with("Authorization", auth);
        }
        self.asked = Some((ask, request.clone()));
        Ok(Step::Next(request))
    }

    /// What an answer leads to.
    fn take(&mut self, ask: Ask, url: &Url, response: &Response) -> Result<(), Error> {
        answers::check(url, response)?;
        match ask {
            Ask::Discovery(_) => self.take_discovery(url, &answers::read(url, &response.body)?),
            Ask::Root(root) => {
                let answer: Root = answers::read(url, &response.body)?;
                let speaks = |version: &String| version.replace(' ', "").eq_ignore_ascii_case(MEDIA_TYPE);
                if !answer.versions.iter().any(speaks) {
                    let why = "the API root does not list version 2.1".to_owned();
                    return Err(Error::Not { url: url.to_string(), why });
                }
                self.queue.push_front(Ask::Collections(join(&root, "collections/")?));
                Ok(())
            }
            Ask::Collections(list) => self.take_collections(&list, answers::read(url, &response.body)?),
            Ask::Collection(place) => {
                let answer: answers::Collection = answers::read(url, &response.body)?;
                self.queue_collection(place, answer);
                Ok(())
            }
            Ask::Page(page) => self.take_page(*page, response),
        }
    }

    fn take_discovery(&mut self, url: &Url, answer: &Discovery) -> Result<(), Error> {
        let mut roots: Vec<Url> = Vec::new();
        for text in answer.api_roots.iter().chain(&answer.default) {
            match url.join(text).map(folder) {
                Ok(root) if root.origin() != self.home().origin() => {
                    self.harvest.failures.push(Error::Elsewhere { url: root.to_string() });
                }
                Ok(root) if !roots.contains(&root) => roots.push(root),
                Ok(_) => {}
                Err(_) => self.harvest.failures.push(Error::Url { url: stix::short(text) }),
            }
            if roots.len() > self.config.bounds.roots || self.harvest.failures.len() > self.config.bounds.roots {
                let most = self.config.bounds.roots;
                return Err(Error::TooMuch { url: url.to_string(), what: "API roots", most });
            }
        }
        self.roots += roots.len();
        self.queue.extend(roots.into_iter().map(Ask::Root));
        Ok(())
    }

    fn take_collections(&mut self, list: &Url, answer: Collections) -> Result<(), Error> {
        let wanted = |collection: &answers::Collection| {
            let is = |name: &String| {
                *name == collection.id || *name == collection.title || Some(name) == collection.alias.as_ref()
            };
            collection.can_read && (self.config.only.is_empty() || self.config.only.iter().any(is))
        };
        let collections: Vec<answers::Collection> = answer.collections.into_iter().filter(wanted).collect();
        for collection in collections {
            let most = self.config.bounds.collections;
            if self.harvest.collections.len() == most {
                return Err(Error::TooMuch { url: list.to_string(), what: "collections", most });
            }
            // An id is one segment of a path, whatever the server says.
            let mut place = list.clone();
            if let Ok(mut segments) = place.path_segments_mut() {
                segments.pop_if_empty().push(&collection.id).push("");
            }
            if matches!(collection.id.as_str(), "" | "." | "..") {
                let why = "a collection without a usable id".to_owned();
                return Err(Error::Not { url: list.to_string(), why });
            }
            self.queue_collection(place, collection);
        }
        Ok(())
    }

    fn queue_collection(&mut self, place: Url, collection: answers::Collection) {
        let Ok(url) = join(&place, "objects/") else { return };
        let added_after = self.config.cursor.0.get(place.as_str()).cloned();
        let page = Page {
            collection: self.harvest.collections.len(),
            url,
            added_after,
            next: None,
            seen: HashSet::new(),
            latest: None,
        };
        self.harvest.collections.push(Collection {
            url: place,
            id: collection.id,
            title: collection.title,
            objects: 0,
            pages: 0,
            complete: false,
        });
        self.queue.push_back(Ask::Page(Box::new(page)));
    }

    fn take_page(&mut self, mut page: Page, response: &Response) -> Result<(), Error> {
        let bounds = self.config.bounds;
        let url = page.url.to_string();
        let not = |why: String| Error::Not { url: url.clone(), why };
        let read = stix::read(&response.body, &bounds.objects).map_err(|error| not(error.to_string()))?;
        let Some(collection) = self.harvest.collections.get_mut(page.collection) else { return Ok(()) };
        collection.pages += 1;
        collection.objects += read.objects.all().count();
        let (pages, is_empty) = (collection.pages, read.objects.is_empty());
        self.harvest.objects.merge(read.objects);
        let room = bounds.objects.errors.saturating_sub(self.harvest.errors.len());
        self.harvest.more_errors += read.more_errors + read.errors.len().saturating_sub(room) as u64;
        self.harvest.errors.extend(read.errors.into_iter().take(room));
        if self.harvest.objects.len() > bounds.objects.objects {
            return Err(Error::TooMuch { url, what: "objects", most: bounds.objects.objects });
        }
        let last = response.header("x-taxii-date-added-last").map(str::to_owned);
        if last.is_some() {
            page.latest.clone_from(&last);
        }
        if !read.more {
            if let Some(collection) = self.harvest.collections.get_mut(page.collection) {
                collection.complete = true;
                if let Some(latest) = page.latest {
                    self.harvest.cursor.0.insert(collection.url.to_string(), latest);
                }
            }
            return Ok(());
        }
        if pages >= bounds.pages {
            return Err(Error::TooMuch { url, what: "pages", most: bounds.pages });
        }
        // Without `next` the server means that the time of the last object leads on (section 3.5).
        let cursor = match (&read.next, &last) {
            (Some(next), _) => format!("next={next}"),
            (None, Some(last)) if !is_empty => format!("added_after={last}"),
            _ => return Err(not("`more` without a way to it".to_owned())),
        };
        if cursor.len() > 4_096 {
            return Err(not("`next` is longer than 4096 bytes".to_owned()));
        }
        // Servers may use one cursor for all pages (medallion does), but not for the same page again.
        let mut hasher = DefaultHasher::new();
        (&cursor, &response.body).hash(&mut hasher);
        if !page.seen.insert(hasher.finish()) {
            return Err(Error::Circle { url, cursor: stix::short(&cursor) });
        }
        match read.next {
            Some(next) => page.next = Some(next),
            None => (page.next, page.added_after) = (None, last),
        }
        self.queue.push_front(Ask::Page(Box::new(page)));
        Ok(())
    }
}

impl Exchange for Client {
    type Outcome = Harvest;
    type Error = Error;

    fn start(&mut self) -> Result<Step<Harvest>, Error> {
        self.next()
    }

    fn step(&mut self, response: Response) -> Result<Step<Harvest>, Error> {
        let Some((ask, request)) = self.asked.take() else { return self.next() };
        let most = self.config.bounds.bytes;
        self.bytes = self.bytes.saturating_add(response.body.len());
        if self.bytes > most {
            return Err(Error::TooMuch { url: request.url.to_string(), what: "bytes", most });
        }
        match redirect(&request.url, &response) {
            Ok(Some(to)) if self.redirects < self.config.bounds.redirects => {
                self.redirects += 1;
                return self.send(ask, to);
            }
            Ok(Some(_)) => {
                let most = self.config.bounds.redirects;
                return self.fail(&ask, Error::TooMuch { url: request.url.to_string(), what: "redirects", most });
            }
            Ok(None) => {}
            Err(error) => return self.fail(&ask, error.into()),
        }
        match self.take(ask.clone(), &request.url, &response) {
            Ok(()) => self.next(),
            Err(error) => self.fail(&ask, error),
        }
    }
}

impl Client {
    /// What goes wrong at the configured place ends the fetch; elsewhere it is listed, and the rest goes on.
    fn fail(&mut self, ask: &Ask, error: Error) -> Result<Step<Harvest>, Error> {
        let is_first = match (ask, &self.config.from) {
            (Ask::Discovery(_), _) | (Ask::Collection(_), _) => true,
            (Ask::Root(_) | Ask::Collections(_), from) => matches!(from, From::ApiRoot(_)),
            (Ask::Page(_), from) => matches!(from, From::Collection(_)) && self.harvest.objects.is_empty(),
        };
        if is_first {
            return Err(error);
        }
        self.harvest.failures.push(error);
        self.next()
    }
}

impl Page {
    fn url(&self, limit: u32) -> Url {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("limit", &limit.to_string());
            if let Some(after) = &self.added_after {
                query.append_pair("added_after", after);
            }
            if let Some(next) = &self.next {
                query.append_pair("next", next);
            }
        }
        url
    }
}

/// A URL that names a folder.
fn folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url.set_fragment(None);
    url
}

fn join(url: &Url, part: &str) -> Result<Url, Error> {
    url.join(part).map_err(|_| Error::Url { url: format!("{url}{part}") })
}
